/** Commands that pages show and tests of the documentation do not run, each with its reason. */

interface NotRun {
  readonly command: string;
  readonly reason: string;
  /** Pages that show it without running; default: all. */
  readonly page?: string;
}

export const notRun: readonly NotRun[] = [
  { command: './understudy demo', reason: 'tests of the demo run it' },
  { command: 'npm test', reason: 'this is a part of it' },
  { command: 'npm pack', reason: 'tests/house/package.test.ts does it' },
  {
    command: 'npm install --global ./understudy-preserve-0.1.0.tgz',
    reason: 'tests/house/package.test.ts installs the package in a folder',
  },
  { command: 'ln -s "$PWD/understudy" /usr/local/bin/understudy', reason: 'changes the machine' },
  {
    command: 'useradd --system --home-dir /var/lib/understudy --shell /bin/bash understudy',
    reason: 'changes the machine',
  },
  {
    command: 'install -d -m 700 -o understudy -g understudy /etc/understudy /var/lib/understudy',
    reason: 'needs the user that is not made',
  },
];

export function reasonNotRun(page: string, command: string): string | undefined {
  const entry = notRun.find((each) => each.command === command && (each.page ?? page) === page);
  return entry?.reason;
}
