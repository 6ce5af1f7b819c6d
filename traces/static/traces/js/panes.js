// The panes of a rollout: the object shown on the right is marked in the outline; on small screens a line opens its page.

const outline = document.querySelector("#outline");
const inspector = document.querySelector("#inspector");
const small = matchMedia("(max-width: 75rem)");

function mark(link) {
  for (const other of outline.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
}

outline.addEventListener("htmx:configRequest", (event) => {
  const link = event.target.closest?.(".outline a");
  if (!link) return;
  if (small.matches) {
    // The inspector would be out of sight.
    event.preventDefault();
    location.assign(link.href);
  } else {
    mark(link);
  }
});

inspector.addEventListener("htmx:afterSwap", () => {
  const body = inspector.querySelector(".body");
  if (body) body.scrollTop = 0;
});
