/* Buttons that copy a public address. Without a script, or without a clipboard, the address is selected by hand. */
"use strict";

for (const button of navigator.clipboard ? document.querySelectorAll("button[data-copy]") : []) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      return; // the browser does not allow it; the address is selected
    }
    button.setAttribute("aria-live", "polite");
    button.firstChild.textContent = button.dataset.copied;
  });
}
