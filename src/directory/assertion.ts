/** The assertion control (RFC 4528): the server does what is asked only while a filter matches the entry. */
import { BerWriter, Control, type Filter } from 'ldapts';

export class Assertion extends Control {
  readonly #filter: Filter;

  constructor(filter: Filter) {
    super('1.3.6.1.1.12', { critical: true });
    this.#filter = filter;
  }

  protected override writeControl(writer: BerWriter): void {
    const value = new BerWriter();
    this.#filter.write(value);
    writer.writeBuffer(value.buffer, 0x04);
  }
}
