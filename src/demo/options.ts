/** What the demonstration is asked for. */
export interface DemoOptions {
  /** Leave everything running at the end, until `signal`. */
  readonly keep: boolean;
  /** One JSON document of the results on stdout; what is told goes to stderr. */
  readonly json: boolean;
  /** The same seed gives the same mail. */
  readonly seed: string;
  /** How many messages the server has at first, over all accounts. */
  readonly messages: number;
  /** The module that is the command itself; `node ENTRY restore …` is what the demonstration runs. */
  readonly entry: URL;
  /** Ends the demonstration, which then leaves nothing behind. */
  readonly signal: AbortSignal;
}
