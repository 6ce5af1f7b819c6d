// The panes of a rollout: the object shown on the right is marked in the outline; on small screens a line opens its page.

// A jump replaces everything inside, so this is the element that stays.
const panes = document.querySelector("#panes");
const small = matchMedia("(max-width: 75rem)");

function mark(link) {
  for (const other of panes.querySelectorAll(".outline [aria-current]")) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
}

panes.addEventListener("htmx:configRequest", (event) => {
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

panes.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "inspector") return;
  const body = event.target.querySelector(".body");
  if (body) body.scrollTop = 0;
});
