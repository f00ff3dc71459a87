// Enter in a field of the preview presses "Preview". Without this, browsers would press the form's first button: "Save".
"use strict";
document.addEventListener("keydown", (event) => {
  const preview = event.key === "Enter" && event.target.matches("input") && event.target.closest(".lms-cc-preview");
  if (preview) {
    event.preventDefault();
    preview.querySelector("button").click();
  }
});
