// Sets the colour theme before the first paint: the person's choice, else that of the device.
(function () {
  "use strict";
  var stored = null;
  try { stored = localStorage.getItem("backoffice-theme"); } catch (error) { stored = null; }
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    document.documentElement.setAttribute("data-bs-theme", stored || (dark.matches ? "dark" : "light"));
  }
  apply();
  dark.addEventListener("change", apply);
  document.documentElement.classList.add("js");
})();
