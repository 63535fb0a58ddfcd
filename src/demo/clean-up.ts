/** What is to be undone at the end, whatever happens: the last thing begun first. */
import { messageOf } from '../lib/index.ts';

export class CleanUp {
  readonly #undo: { readonly what: string; readonly run: () => Promise<void> | void }[] = [];

  /** `what` names it where undoing fails. */
  add(what: string, run: () => Promise<void> | void): void {
    this.#undo.push({ what, run });
  }

  /** Undoes everything added since the last call, and gives what could not be undone. */
  async run(): Promise<string[]> {
    const failures: string[] = [];
    for (let next = this.#undo.pop(); next !== undefined; next = this.#undo.pop()) {
      try {
        await next.run();
      } catch (error) {
        failures.push(`${next.what}: ${messageOf(error)}`);
      }
    }
    return failures;
  }
}
