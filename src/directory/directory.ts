/** What Understudy asks of a directory, whatever its kind. */
export interface Directory {
  /**
   * Login names of the accounts that the directory binds to the server with this host, sorted, each once. Reads only;
   * safe to repeat. Errors: DIRECTORY_…
   */
  listAccounts(serverHost: string, signal?: AbortSignal): Promise<readonly string[]>;
}
