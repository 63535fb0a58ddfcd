/** What `init` needs to know of a server, asked on a terminal or given as options. */

export interface Answers {
  readonly server: string;
  readonly host: string;
  readonly port?: number;
  readonly security: 'tls' | 'starttls' | 'none';
  readonly masterUser?: string;
  /** `${file:PATH}`, `${env:NAME}`, or the secret itself. */
  readonly masterSecret?: string;
  readonly separator?: string;
  readonly doveadmUrl?: string;
  readonly doveadmKey?: string;
  readonly accounts:
    | { readonly list: readonly string[] }
    /** `directory`: which of those of the file, where it has several. */
    | { readonly from: 'directory' | 'doveadm'; readonly directory?: string };
  readonly pushMode: 'hint' | 'synchronous';
  /** Only where the file does not exist yet. */
  readonly site?: string;
  readonly dataDir?: string;
  readonly listen?: string;
}
