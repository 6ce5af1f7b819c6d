// An element and how it should look flow in; it becomes so in place. What is the same is not touched, so that focus,
// selected text, scroll positions and folds that a reader opened survive. Elements are told apart by their ids.

// These belong to the reader, not to the server: which fold is open, which line is chosen, what was typed.
const KEPT = new Set(["open", "aria-current"]);
const TYPED = new Set(["value", "checked"]);

function kept(element, name) {
  return KEPT.has(name) || (TYPED.has(name) && element.matches("input, textarea"));
}

export function morph(element, wanted) {
  if (element.isEqualNode(wanted)) return;
  attributes(element, wanted);
  morphChildren(element, wanted);
}

export function morphChildren(parent, wanted) {
  const ids = new Set([...wanted.children].map((child) => child.id));
  // What is gone goes first: then most of what stays stands in its place already and need not be moved.
  for (const child of [...parent.children]) if (child.id && !ids.has(child.id)) child.remove();
  let here = parent.firstChild;
  for (const next of [...wanted.childNodes]) {
    while (next.nodeType === Node.ELEMENT_NODE && isBlank(here)) here = without(here);
    const found = match(parent, here, next);
    if (!found) {
      parent.insertBefore(document.importNode(next, true), here);
      continue;
    }
    if (found === here) here = here.nextSibling;
    else put(parent, found, here);
    if (found.nodeType === Node.ELEMENT_NODE) morph(found, next);
    else if (found.nodeValue !== next.nodeValue) found.nodeValue = next.nodeValue;
  }
  while (here) here = without(here);
}

function isBlank(node) {
  return node?.nodeType === Node.TEXT_NODE && !node.nodeValue.trim();
}

function without(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

// Moves an element that is in the page already; where the browser can, without it losing focus on the way.
export function put(parent, element, before) {
  if (parent.moveBefore && element.parentNode === parent) parent.moveBefore(element, before);
  else parent.insertBefore(element, before);
}

function match(parent, here, wanted) {
  if (wanted.id) return [...parent.children].find((child) => child.id === wanted.id);
  const same = here && !here.id && here.nodeType === wanted.nodeType && here.nodeName === wanted.nodeName;
  return same ? here : null;
}

function attributes(element, wanted) {
  for (const { name } of [...element.attributes]) {
    if (!wanted.hasAttribute(name) && !kept(element, name)) element.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (element.getAttribute(name) !== value && !kept(element, name)) element.setAttribute(name, value);
  }
}
