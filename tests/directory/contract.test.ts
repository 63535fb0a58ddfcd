/** Goal: the LDAP adapter keeps the directory contract, in the open and over TLS, and within a size limit. */
import { type LdapOptions, ldapDirectory } from '../../src/directory/index.ts';
import { requirePackages } from '../lab/packages.ts';
import { directoryContract, LIVE, type World } from './contract.ts';
import { accountNames, type Slapd, startSlapd, WRITER } from './slapd.ts';

const ACCOUNTS = 2_300;
const missing = requirePackages(['slapd', 'ldap-utils', 'openssl']);

/** What the remedy of DIRECTORY_SIZE_LIMIT asks for: by default slapd gives no more than 500 entries, in pages neither. */
const unlimited = `limits dn.exact="${WRITER}" size.prtotal=unlimited`;

function world(how: (slapd: Slapd) => Partial<LdapOptions>, database = unlimited): () => Promise<World> {
  return async () => {
    if (missing !== undefined) throw new Error(missing);
    const slapd = await startSlapd({ accounts: ACCOUNTS, mailHost: LIVE, database });
    const entry = (account: string) =>
      `dn: ${slapd.dn(account)}\nchangetype: add\nobjectClass: inetOrgPerson\nobjectClass: inetLocalMailRecipient\nuid: ${account}\ncn: x\nsn: x\nmailHost: ${LIVE}\n`;
    return {
      accounts: accountNames(ACCOUNTS),
      directory: ({ impatient = false } = {}) =>
        ldapDirectory({ ...slapd.options, ...how(slapd), ...(impatient ? { patienceMs: 1_000 } : {}) }),
      read: (account) => slapd.read(account),
      set: (account, values) => slapd.set(account, values),
      remove: (account) => slapd.modify(`dn: ${slapd.dn(account)}\nchangetype: delete\n`),
      putBack: (account) => slapd.modify(entry(account)),
      crash: () => slapd.kill9(),
      restart: () => slapd.restart(),
      end: () => slapd.stop(),
    };
  };
}

directoryContract(
  'in the open',
  world(() => ({})),
);
directoryContract(
  'over StartTLS, with a size limit',
  world(
    ({ certificate }) => ({ startTls: true, caFile: certificate }),
    `limits dn.exact="${WRITER}" size.soft=500 size.hard=500 size.pr=500 size.prtotal=unlimited`,
  ),
);
