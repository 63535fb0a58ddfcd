/** Whoever enters has the turn until it leaves; the others wait in the order in which they came. */
export class Turns {
  #taken = false;
  readonly #waiting: (() => void)[] = [];

  /** Whether `enter` would have to wait. */
  get taken(): boolean {
    return this.#taken;
  }

  /** Undefined: the turn is had at once. Else it is had when the promise resolves. */
  enter(): Promise<void> | undefined {
    if (this.#taken) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#taken = true;
    return undefined;
  }

  /** To be called once for each `enter`, when the turn was had. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken = false;
  }
}
