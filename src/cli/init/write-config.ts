/** Adds a server to a configuration text: what is there, comments and order included, stays as it is. */
import { Document, isMap, parseDocument } from 'yaml';
import { cliErrors } from '../errors.ts';
import type { Answers } from './answers.ts';

const HEADER = ` Understudy's configuration. All keys: docs/reference/configuration.md
 Check it with: understudy config check`;

const DEFAULTS = { site: 'main', dataDir: 'understudy-data', listen: '127.0.0.1:7700' };

/** The new text. `text` is undefined where there is no file yet. @throws CLI_FILE_EXISTS: the server is there already */
export function withServer(text: string | undefined, answers: Answers): string {
  const document = text === undefined ? freshDocument(answers) : parseDocument(text);
  if (document.hasIn(['servers', answers.server])) {
    throw cliErrors.make('CLI_FILE_EXISTS', `the configuration has a server \`${answers.server}\` already`, {
      details: { server: answers.server },
    });
  }
  if (!isMap(document.get('servers', true))) document.set('servers', document.createNode({}));
  document.setIn(['servers', answers.server], serverNode(document, answers));
  return document.toString({ lineWidth: 110, flowCollectionPadding: true });
}

function freshDocument(answers: Answers): Document {
  const document = new Document({
    site: answers.site ?? DEFAULTS.site,
    dataDir: answers.dataDir ?? DEFAULTS.dataDir,
    api: { listen: answers.listen ?? DEFAULTS.listen },
    servers: {},
  });
  document.commentBefore = HEADER;
  comment(document, 'dataDir', ' Journals, catalogs and the token of the API; relative to this file.');
  comment(document, 'api', ' Operations, metrics and pushed events. Keep it on loopback or behind TLS.');
  comment(document, 'servers', ' What is protected. One more server: understudy init');
  return document;
}

function comment(document: Document, key: string, text: string): void {
  if (!isMap(document.contents)) return;
  const pair = document.contents.items.find((item) => String(item.key) === key);
  if (pair === undefined) return;
  const node = document.createNode(key);
  node.commentBefore = text;
  pair.key = node;
}

function serverNode(document: Document, answers: Answers) {
  const { masterUser, masterSecret, separator, port, doveadmUrl, doveadmKey } = answers;
  const node = document.createNode({
    workload: 'mail',
    host: answers.host,
    imap: {
      ...(port === undefined ? {} : { port }),
      security: answers.security,
      ...(masterUser === undefined ? {} : { masterUser }),
      ...(masterSecret === undefined ? {} : { masterSecret }),
      ...(separator === undefined ? {} : { separator }),
    },
    ...(doveadmUrl === undefined ? {} : { doveadm: { url: doveadmUrl, apiKey: doveadmKey } }),
    accounts: answers.accounts,
    ...(answers.pushMode === 'hint' ? {} : { push: { mode: answers.pushMode } }),
  });
  return node;
}
