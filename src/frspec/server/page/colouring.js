// Which part of an answer's text came from which token. Knows: code points and the tokens' ends. Does not know: the DOM.
//
// Text and tokens arrive together, but text may lag behind (an ending is held back while it may become a stop string):
// a token then waits here until its last character has come. What is there of it is cut off all the same, at once.
export class Colouring {
  #waiting = []; // tokens whose text isn't complete, in order: {end, depth}
  #position = 0; // code points of the whole text so far; ends count in these, JavaScript's strings don't

  // -> [{text, token}], in order; the token is the same object as long as it is the same token, null if there is none.
  cut(text, tokens) {
    this.#waiting.push(...tokens);
    const points = Array.from(text);
    const pieces = [];
    for (let at = 0; at < points.length; ) {
      this.#finish();
      const token = this.#waiting[0] ?? null;
      const length = token ? Math.min(token.end - this.#position, points.length - at) : points.length - at;
      pieces.push({ text: points.slice(at, at + length).join(""), token });
      at += length;
      this.#position += length;
    }
    this.#finish();
    return pieces;
  }

  // Tokens that add no character (the first half of one) end where the one before them does.
  #finish() {
    while (this.#waiting.length && this.#waiting[0].end <= this.#position) this.#waiting.shift();
  }
}
