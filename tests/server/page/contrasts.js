// The contrast of every text that can be seen with what lies behind it, as WCAG 2 defines it: [what, ratio].
() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const mix = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return pen.getImageData(0, 0, 1, 1).data.slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = [...rgb].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = [...document.querySelectorAll("body *")].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
    element.checkVisibility() && !element.closest(".unseen, .skip, :disabled"));
  return seen.map((element) => {
    const behind = [];
    for (let e = element; e; e = e.parentElement) {
      const box = e.matches("g.node") ? getComputedStyle(e.querySelector("rect")).fill : null;
      behind.unshift(box ?? getComputedStyle(e).backgroundColor);
    }
    const style = getComputedStyle(element);
    const ink = element.matches("svg text") ? style.fill : style.color;
    const [a, b] = [light(mix(behind)), light(mix([...behind, ink]))];
    const name = `${element.localName}.${element.className.baseVal ?? element.className}`;
    return [`${name} ${element.textContent.slice(0, 30)}`, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}
