// One answer growing on the page. Knows: spans, animation frames. Does not know: the server, other answers.
import { Colouring } from "./colouring.js";

export const DEPTHS = 6; // colours; whatever is deeper has the last
const END = "∎";
const LONG = 1500; // characters of a block after which the next line begins a new one

export class Answer {
  text = "";
  own = []; // by round: the text of the target's own token that ended it
  #colouring = new Colouring();
  #waiting = []; // pieces that the next frame will show
  #frame = 0;
  #open = null; // the token whose node is the last one, and the node
  #block; // where text is added: a browser lays out a whole block anew, however little was added to it
  #length = 0; // of its text
  #shown; // called after each frame that added something

  constructor(element, shown) {
    this.element = element;
    this.#shown = shown;
    this.#begin();
  }

  // New text, with the tokens that brought it: {end, depth, round}.
  push(text, tokens) {
    this.text += text;
    this.#waiting.push(...this.#colouring.cut(text, tokens));
    this.#frame ||= requestAnimationFrame(() => this.flush());
  }

  // The text has ended by itself, in this round: what ended it has no text of its own.
  end(round) {
    this.flush();
    this.own[round] ??= END;
  }

  // Show everything now. Only adds to what is there, so a long answer is no slower than a short one.
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#waiting.length) return;
    for (const piece of this.#waiting) this.#add(piece);
    this.#waiting = [];
    this.#shown();
  }

  #add({ text, token }) {
    if (token?.depth === 0 && token.round !== null) this.own[token.round] = (this.own[token.round] ?? "") + text;
    const end = this.#length > LONG ? text.indexOf("\n") + 1 : 0;
    if (end) {
      this.#put(text.slice(0, end), token);
      this.#begin();
    }
    if (end < text.length) this.#put(text.slice(end), token);
  }

  #begin() {
    this.#block = document.createElement("div");
    this.element.append(this.#block);
    this.#open = null;
    this.#length = 0;
  }

  #put(text, token) {
    this.#length += text.length;
    const drafted = token?.depth > 0;
    const kind = drafted ? token : null; // the target's own tokens share a node
    if (this.#open?.kind === kind) {
      this.#open.node.appendData(text);
      return;
    }
    const begins = drafted && this.#open?.kind == null;
    const [space, word] = begins ? parted(text) : ["", text];
    const node = document.createTextNode(word);
    this.#open = { kind, node };
    this.#block.append(space, drafted ? wrap(node, token) : node);
  }
}

// A token mostly begins with the space before its word; a run of guesses looks better if it begins with the word.
function parted(text) {
  const word = text.trimStart();
  return word ? [text.slice(0, text.length - word.length), word] : ["", text];
}

function wrap(node, token) {
  const span = document.createElement("span");
  span.className = `drafted d${Math.min(token.depth, DEPTHS)}`;
  span.title = `guessed ${token.depth} ahead`;
  if (token.round !== null) span.dataset.round = token.round;
  span.append(node);
  return span;
}
