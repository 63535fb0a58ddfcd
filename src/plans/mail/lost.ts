/** What a failover lost, as far as a later look at the former server has shown. */
import type { VaultReader } from '../../catalog/index.ts';
import type { Lsn } from '../../journal/index.ts';
import { laterThan } from '../../workloads/mail/carry-over/index.ts';

/** A message that only the former server held; what is known of it. */
export interface LostMessage {
  readonly account: string;
  readonly mailbox: string;
  readonly uid: number;
  readonly date: string;
  readonly sender: string;
  readonly subject: string;
  readonly messageId: string;
}

/** Named one by one; a report is no place for more. */
const MOST = 10_000;

/** Of the journal of the former server: what it got after `since`, and up to `until`, when it served people again; absent = its end. */
export async function lostMessages(
  reader: Pick<VaultReader, 'journal' | 'catalog'>,
  since: Lsn,
  {
    until,
    accounts,
  }: { readonly until?: Lsn | undefined; readonly accounts?: readonly string[] | undefined },
): Promise<readonly LostMessage[]> {
  const { messages } = await laterThan(reader, since, accounts, { until, most: MOST });
  return messages.map(({ account, mailbox, uid, date, sender, subject, messageId }) => ({
    account,
    mailbox,
    uid,
    date,
    sender,
    subject,
    messageId,
  }));
}
