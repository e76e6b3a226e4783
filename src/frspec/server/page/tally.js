// The counts behind the figures of one answer. Knows: chunks of a stream. Does not know: the DOM.

export class Tally {
  rounds = []; // verified trees, as the server sends them
  tokens = 0;
  promptTokens = null;
  cachedTokens = null;
  draftSeconds = 0;
  verifySeconds = 0;
  tried = []; // by depth, from 1: passes whose tree was that deep
  right = []; // and those in which it was right that far
  #passTokens = 0;
  #first = null; // when the first tokens came, and how many they were
  #last = 0;
  #length = null; // the server's own count, at the end

  // One chunk, with the time it came at in milliseconds. A token of it gets the index of the round that it came from.
  add(chunk, now) {
    const { tokens = [], rounds = [] } = chunk.speculation ?? {};
    this.#label(tokens, rounds.length);
    for (const round of rounds) this.#addRound(round);
    this.tokens += tokens.length;
    if (tokens.length) {
      this.#first ??= { at: now, tokens: this.tokens };
      this.#last = now;
    }
    this.#length = chunk.speculation?.mean_acceptance_length ?? this.#length;
    if (chunk.usage) {
      this.tokens = chunk.usage.completion_tokens;
      this.promptTokens = chunk.usage.prompt_tokens;
      this.cachedTokens = chunk.usage.prompt_tokens_details?.cached_tokens ?? null;
    }
  }

  // Tokens a second after the first ones; null while there is nothing to divide by. A browser that was busy gets
  // several passes at once: no less time is counted than they took.
  get rate() {
    const arriving = this.#first ? (this.#last - this.#first.at) / 1000 : 0;
    const seconds = Math.max(arriving, this.draftSeconds + this.verifySeconds);
    return seconds > 0 ? (this.tokens - this.#first.tokens) / seconds : null;
  }

  // Tokens a target pass brought, its own included; 1 is plain decoding.
  get acceptanceLength() {
    return this.#length ?? (this.rounds.length ? this.#passTokens / this.rounds.length : null);
  }

  get drafts() {
    return this.tried.length > 0;
  }

  get draftShare() {
    const all = this.draftSeconds + this.verifySeconds;
    return all > 0 ? this.draftSeconds / all : null;
  }

  // A pass brings drafts of depth 1, 2, ... and then one token of the target's own, depth 0. The prompt's own pass has
  // no tree, so rounds are counted from the chunk's end.
  #label(tokens, count) {
    let pass = this.rounds.length + count - tokens.filter((token) => token.depth === 0).length;
    if (tokens.at(-1)?.depth > 0) pass -= 1; // the last pass ended in a draft: the end of the text, or of its length
    for (const token of tokens) {
      token.round = pass >= this.rounds.length ? pass : null;
      if (token.depth === 0) pass += 1;
    }
  }

  #addRound(round) {
    this.rounds.push(round);
    this.#passTokens += round.path.length;
    this.draftSeconds += round.draft_seconds;
    this.verifySeconds += round.verify_seconds;
    const deepest = Math.max(...round.depths);
    for (let depth = 1; depth <= deepest; depth++) {
      this.tried[depth - 1] = (this.tried[depth - 1] ?? 0) + 1;
      this.right[depth - 1] = (this.right[depth - 1] ?? 0) + (round.path.length > depth ? 1 : 0);
    }
  }
}
