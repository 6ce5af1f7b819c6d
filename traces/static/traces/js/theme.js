// Theme switch: auto, light, dark. Loaded in the head so that a chosen theme is there before the first paint.
// Without it the page follows the system, and the button stays hidden.
(() => {
  const names = ["auto", "light", "dark"];

  function remembered() {
    try {
      const theme = localStorage.getItem("theme");
      return names.includes(theme) ? theme : "auto";
    } catch {
      return "auto"; // storage may be refused; the switch still works for this page
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // nothing to do: the choice lasts as long as the page
    }
  }

  let theme = remembered();

  function apply() {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }

  function wire() {
    const button = document.querySelector("[data-theme-switch]");
    if (!button) return;
    const label = button.lastElementChild;
    button.hidden = false;
    label.textContent = `Theme: ${theme}`;
    button.addEventListener("click", () => {
      theme = names[(names.indexOf(theme) + 1) % names.length];
      remember(theme);
      apply();
      label.textContent = `Theme: ${theme}`;
    });
  }

  apply();
  document.addEventListener("DOMContentLoaded", wire);
})();
