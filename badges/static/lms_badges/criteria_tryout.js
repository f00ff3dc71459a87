// Tries out the criteria document as it stands in the form, saved or not, and shows the answer on the page.
// Without this file the answer is about the saved document and opens in a new tab.
"use strict";

(() => {
  const form = document.getElementById("lms-badges-tryout");
  const shown = document.getElementById("lms-badges-tryout-result");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = new FormData(form);
    const written = document.querySelector("#badgetemplate_form [name=criteria]");
    if (written) sent.set("criteria", written.value);
    sent.set("fragment", "1");
    shown.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: sent });
      if (!answer.ok) throw new Error(String(answer.status));
      shown.innerHTML = await answer.text();
    } catch {
      shown.textContent = shown.dataset.failed;
    }
    shown.removeAttribute("aria-busy");
  });
})();
