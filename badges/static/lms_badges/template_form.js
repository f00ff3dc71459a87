// Additions to a template's page: suggestions for the event type, the kind of each value, adding and removing rows.
// The page also works without this file.
"use strict";

(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  let paths = new Map();
  let operators = {};

  const part = (row, name) => row.querySelector(`[data-part="${name}"]`);
  const rowsOf = (rules) => [...rules.querySelectorAll(".lms-badges-rule")];

  // Shows the kind of the values at a row's path, and offers the operators for this kind.
  function fit(row, eventType) {
    const path = part(row, "path");
    path.setAttribute("list", `lms-badges-paths-${eventType}`);
    const known = paths.get(eventType)?.find((item) => item.path === path.value.trim());
    part(row, "kind").textContent = known ? `(${known.words})` : "";
    const operator = part(row, "operator");
    for (const option of operator.options) {
      option.hidden = Boolean(known) && option.value in own && !operators[known.kind].includes(option.value);
    }
    const boolean = known?.kind === "boolean" || operator.value === "exists";
    part(row, "value").toggleAttribute("list", boolean);
    if (boolean) part(row, "value").setAttribute("list", "lms-badges-booleans");
  }

  let own = {};

  function renumber(rules) {
    const name = rules.dataset.name;
    rowsOf(rules).forEach((row, index) => {
      for (const control of row.querySelectorAll("[name]")) {
        control.name = control.name.replace(/-\d+-(path|operator|value|removed)$/, `-${index}-$1`);
      }
    });
    const written = rowsOf(rules).some((row) => part(row, "path").value.trim() && !part(row, "removed").checked);
    rules.querySelector(".lms-badges-note").classList.toggle("lms-badges-every", !written);
    return name;
  }

  function add(rules, eventType) {
    const all = rowsOf(rules);
    if (all.length >= Number(rules.dataset.most)) return;
    const row = all[all.length - 1].cloneNode(true);
    row.querySelectorAll(".errorlist").forEach((list) => list.remove());
    row.querySelectorAll("[aria-invalid]").forEach((control) => {
      control.removeAttribute("aria-invalid");
      control.removeAttribute("aria-describedby");
    });
    part(row, "path").value = "";
    part(row, "value").value = "";
    part(row, "operator").value = "eq";
    part(row, "removed").checked = false;
    all[all.length - 1].after(row);
    row.setAttribute("aria-label", row.getAttribute("aria-label").replace(/\d+/, String(all.length + 1)));
    renumber(rules);
    fit(row, eventType);
    part(row, "path").focus();
  }

  function start(block) {
    const rules = block.querySelector(".lms-badges-rules");
    const type = block.querySelector("select[name$='-event_type']");
    if (!rules || !type || rules.dataset.started || type.name.includes("__prefix__")) return;
    rules.dataset.started = "yes";
    const fitAll = () => rowsOf(rules).forEach((row) => fit(row, type.value));
    type.addEventListener("change", fitAll);
    rules.addEventListener("input", () => { fitAll(); renumber(rules); });
    const button = rules.querySelector(".lms-badges-add");
    button.hidden = false;
    button.addEventListener("click", () => add(rules, type.value));
    fitAll();
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (!document.getElementById("lms-badges-event-types")) return;
    paths = new Map(read("lms-badges-event-types").map((offer) => [offer.type, offer.paths]));
    operators = read("lms-badges-operators");
    own = Object.fromEntries(Object.values(operators).flat().map((word) => [word, true]));
    document.querySelectorAll(".inline-related").forEach(start);
  });
  document.addEventListener("formset:added", (event) => start(event.target));
})();
