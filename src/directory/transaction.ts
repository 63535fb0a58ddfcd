/**
 * Transactions (RFC 5805): many changes, one commit, one wait for the server's disk. OpenLDAP has them since 2.5; there,
 * 10,000 changes that each wait for the disk take four times as long and more.
 */
import { type BerWriter, type Client, Control, ResultCodeError } from 'ldapts';

const START = '1.3.6.1.1.21.1';
const END = '1.3.6.1.1.21.3';

/** Says that a request belongs to a transaction (RFC 5805, 2.2). */
class TransactionSpecification extends Control {
  readonly #identifier: string;

  constructor(identifier: string) {
    super('1.3.6.1.1.21.2', { critical: true });
    this.#identifier = identifier;
  }

  protected override writeControl(writer: BerWriter): void {
    writer.writeString(this.#identifier, 0x04);
  }
}

export interface TransactionSteps {
  /** Sends the requests, each with the control. */
  send(control: Control): Promise<void>;
  /** Called just before the commit is asked for: from here on all of it may be done. */
  beforeCommit(): void;
}

/**
 * False when the server refused a request, the commit, or transactions altogether: then nothing was changed. Rejects when
 * the connection is lost: then all was changed, or nothing.
 */
export async function inTransaction(
  client: Client,
  { send, beforeCommit }: TransactionSteps,
): Promise<boolean> {
  let identifier: string | undefined;
  let asked = false;
  try {
    const { value = '' } = await client.exop(START);
    // ldapts gives it as text. OpenLDAP's is empty; one that is not text could not be given back.
    if (!/^[ -~]{0,100}$/.test(value)) return false;
    identifier = value;
    await send(new TransactionSpecification(identifier));
    asked = true;
    beforeCommit();
    await client.exop(END, endRequest(true, identifier));
    return true;
  } catch (error) {
    if (!(error instanceof ResultCodeError)) throw error;
    // A commit that was refused has ended the transaction; one that was not asked for is still open.
    if (identifier !== undefined && !asked) await client.exop(END, endRequest(false, identifier));
    return false;
  }
}

/** SEQUENCE { commit BOOLEAN DEFAULT TRUE, identifier OCTET STRING } (RFC 5805, 2.3). */
function endRequest(commit: boolean, identifier: string): Buffer {
  const id = Buffer.from(identifier);
  const content = Buffer.concat([
    commit ? Buffer.alloc(0) : Buffer.from([0x01, 0x01, 0x00]),
    Buffer.from([0x04, id.length]),
    id,
  ]);
  return Buffer.concat([Buffer.from([0x30, content.length]), content]);
}
