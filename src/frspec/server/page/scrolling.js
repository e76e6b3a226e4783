// Keeps the newest line in sight, unless the person looks at something else.

const NEAR = 24; // pixels from the end that still count as there
const scroller = document.getElementById("scroller");
const newest = document.getElementById("newest");
let following = true;

// Where it was scrolled to is remembered, not asked for while text is added: asking would lay out the page each time.
scroller.addEventListener(
  "scroll",
  () => {
    following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
    newest.hidden = following;
  },
  { passive: true },
);
new ResizeObserver(grown).observe(scroller);
newest.addEventListener("click", follow);

// Something was added at the end.
export function grown() {
  if (following) scroller.scrollTop = scroller.scrollHeight;
}

export function follow() {
  following = true;
  newest.hidden = true;
  grown();
}
