/** Which mailboxes an account has and how its mail is spread over them. */
import type { Random } from '../../lib/index.ts';

export interface PlannedMailbox {
  /** Decoded, with `/` between the levels. */
  readonly name: string;
  readonly specialUse?: '\\Sent' | '\\Drafts' | '\\Trash' | '\\Junk' | '\\Archive';
  readonly subscribed: boolean;
  /** How many messages it gets. */
  readonly count: number;
}

const common: readonly (Omit<PlannedMailbox, 'count'> & { readonly share: number })[] = [
  { name: 'INBOX', subscribed: true, share: 30 },
  { name: 'Sent', specialUse: '\\Sent', subscribed: true, share: 18 },
  { name: 'Archive', specialUse: '\\Archive', subscribed: true, share: 12 },
  { name: 'Drafts', specialUse: '\\Drafts', subscribed: true, share: 1 },
  { name: 'Trash', specialUse: '\\Trash', subscribed: true, share: 6 },
  { name: 'Junk', specialUse: '\\Junk', subscribed: true, share: 4 },
];

const own: readonly string[] = [
  'Archive/2022',
  'Archive/2023',
  'Clients/Müller & Söhne',
  'Clients/Northgate Ltd',
  'Clients/田中商事',
  'Lists/announce',
  'Lists/users',
  'Private/Fotos',
  'Projects/2024',
  'Projects/2024/Harbour',
  'Projects/2025/Kestrel',
  'Rechnungen',
  'Счета',
];

/** `n` messages over the usual mailboxes and some of the account's own; every message has its place. */
export function planMailboxes(n: number, random: Random): PlannedMailbox[] {
  const chosen = random.shuffled(own).slice(0, random.integer(3, 7)).sort();
  const shares = [
    ...common,
    ...chosen.map((name) => ({ name, subscribed: random.chance(0.8), share: random.integer(2, 8) })),
  ];
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  let left = n;
  const plan = shares.map(({ share, ...mailbox }) => {
    const count = Math.floor((n * share) / total);
    left -= count;
    return { ...mailbox, count };
  });
  // What rounding left over is new mail.
  return plan.map((mailbox) =>
    mailbox.name === 'INBOX' ? { ...mailbox, count: mailbox.count + left } : mailbox,
  );
}

/** Flags and keywords as they are found on a message of that mailbox. */
export function chooseFlags(mailbox: string, random: Random): string[] {
  const flags: string[] = [];
  if (mailbox === 'Drafts') return ['\\Draft', '\\Seen'];
  if (mailbox === 'Sent' || random.chance(mailbox === 'INBOX' ? 0.7 : 0.95)) flags.push('\\Seen');
  if (random.chance(0.15)) flags.push('\\Answered');
  if (random.chance(0.06)) flags.push('\\Flagged');
  if (mailbox === 'Trash' && random.chance(0.1)) flags.push('\\Deleted');
  if (mailbox === 'Junk') flags.push('$Junk');
  if (random.chance(0.08))
    flags.push(random.pick(['$Forwarded', '$MDNSent', '$label1', '$label4', 'Work', 'Later']));
  return flags;
}
