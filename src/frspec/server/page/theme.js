// Dark or light, before anything is drawn. Knows: the system's wish and the person's. Runs as a plain script so that
// the page never flashes in the other colours.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  try {
    const kept = localStorage.getItem("frspec.theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch {
    // No storage: the system decides.
  }

  // Choosing what the system wishes anyway means: follow the system.
  function change() {
    const wanted = dark() ? "light" : "dark";
    const own = wanted !== (system.matches ? "dark" : "light");
    if (own) root.dataset.theme = wanted;
    else delete root.dataset.theme;
    try {
      if (own) localStorage.setItem("frspec.theme", wanted);
      else localStorage.removeItem("frspec.theme");
    } catch {
      // Then it lasts as long as the page.
    }
    label();
  }

  function label() {
    document.getElementById("theme").setAttribute("aria-label", dark() ? "Light colours" : "Dark colours");
  }

  addEventListener("DOMContentLoaded", () => {
    label();
    document.getElementById("theme").addEventListener("click", change);
    system.addEventListener("change", label);
  });
})();
