/** A real OpenLDAP server on this machine that knows which mail server has which account. */
export { listens, type Slapd, type SlapdOptions, startSlapd } from './slapd.ts';
