/** Which pages are run, and what comes before. */

export interface Scenario {
  readonly page: string;
  /** Runs docs/start.md first, up to this command. */
  readonly after?: string;
  /** With a second server. */
  readonly standby?: boolean;
  /** With a second server and a directory. */
  readonly takeOver?: boolean;
}

const goingOn = ['looking-back', 'shadowing', 'operating', 'push', 'troubleshooting'];

export const scenarios: readonly Scenario[] = [
  { page: 'README.md' },
  { page: 'docs/start.md' },
  // "The examples go on from the first shadow"; the unit of systemd is written by then.
  ...goingOn.map((name) => ({ page: `docs/guides/${name}.md`, after: 'systemctl daemon-reload' })),
  { page: 'docs/guides/restoring.md', after: 'systemctl daemon-reload', standby: true },
  { page: 'docs/guides/taking-over.md', after: 'systemctl daemon-reload', takeOver: true },
];
