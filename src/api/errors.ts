/** Codes of the API: requests, the service itself, and its threads. */
import { defineErrors } from '../lib/index.ts';

export const apiErrors = defineErrors({
  API_INVALID_INPUT: {
    kind: 'usage',
    retry: 'never',
    summary: 'An operation was given input that its schema does not allow.',
    remedy:
      'Correct the named value; docs/reference/http.md and /openapi.json say what each operation takes.',
  },
  API_UNAUTHORIZED: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A request carries no bearer token, or not this service’s.',
    remedy: 'Send `Authorization: Bearer TOKEN` with the content of the file api-token in the data folder.',
  },
  API_NOT_FOUND: {
    kind: 'usage',
    retry: 'never',
    summary: 'No operation or page has this address.',
    remedy: 'See /openapi.json for the addresses that exist.',
  },
  API_BODY_TOO_LARGE: {
    kind: 'usage',
    retry: 'never',
    summary: 'The body of a request is larger than the service reads.',
    remedy: 'Send a smaller body: 1 MiB at most.',
  },
  API_BAD_REQUEST: {
    kind: 'usage',
    retry: 'never',
    summary: 'A request is not the JSON that it says it is.',
    remedy: 'Send a JSON object with `Content-Type: application/json`.',
  },
  API_SERVICE_RUNNING: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'Another service already runs on this data folder.',
    remedy: 'Stop the other service, or give this one a `dataDir` of its own.',
  },
  API_ADDRESS_IN_USE: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'The service cannot listen on `api.listen`.',
    remedy: 'Set another address in `api.listen`, or stop what listens there.',
  },
  API_DATA_DIR_UNUSABLE: {
    kind: 'usage',
    retry: 'after-repair',
    summary: 'The data folder cannot be made or written to.',
    remedy:
      'Give the user that runs understudy the right to write there, or name another folder in `dataDir`.',
  },
  API_ACCESS_DENIED: {
    kind: 'usage',
    retry: 'after-repair',
    summary:
      'This user may not look into a folder of the service, or a path of the configuration leads through a file.',
    remedy:
      'Run the command as the user that runs the service, or correct the owner, the rights or the path.',
  },
  API_SERVICE_UNREACHABLE: {
    kind: 'failed',
    retry: 'later',
    summary: 'The service that runs on this data folder did not answer, or broke off.',
    remedy: 'See its log; `understudy status` tells whether it answers.',
  },
  API_VAULT_UNAVAILABLE: {
    kind: 'refused',
    retry: 'later',
    summary:
      'The thread that keeps this server’s vault is not up: starting, or stopped by an error that its log tells.',
    remedy: 'See `understudy status` for the error; the service tries again by itself.',
  },
  API_TARGET_SERVES: {
    kind: 'refused',
    retry: 'never',
    summary:
      'The server that was to be brought up is shadowed itself, so it serves people now. One with `accounts` that stands by in a pair is brought up from the server that acts there alone.',
    remedy:
      'Name a server without `accounts` in the configuration, or the standby of the server whose mail it is; to bring mail back to where it was lost, leave `--to` out.',
  },
  API_TARGET_BUSY: {
    kind: 'refused',
    retry: 'later',
    summary:
      'The server that was to be brought up is in the hands of a plan, or is kept warm by the service, which would bring it to the newest state again.',
    remedy:
      'A plan: understudy plan list tells when it has ended. A warm standby: leave `--at` out; for an earlier state, fail over with `--at`, or end the service.',
  },
  API_BURST_HELD: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A burst of removals is held before the standby, so this account was left there as it was.',
    remedy: 'To let it go to the standby: understudy standby accept PAIR --account ACCOUNT',
  },
  API_STANDBY_NOT_WARM: {
    kind: 'refused',
    retry: 'later',
    summary:
      'The standby of this pair is not kept warm now: no `warm: true`, starting, resting, or stopped by an error.',
    remedy: 'Set `warm: true` for the pair; `understudy status` tells how far it is.',
  },
  API_SHADOW_NEEDS_ONCE: {
    kind: 'usage',
    retry: 'never',
    summary: '`shadow` was called without `--once`.',
    remedy: 'For one pass: understudy shadow SERVER --once · to follow continuously: understudy run',
  },
  API_LABEL_UNUSABLE: {
    kind: 'usage',
    retry: 'never',
    summary:
      'A checkpoint label reads like a time or an LSN, so `--at` could not tell them apart, or it exists already.',
    remedy: 'Choose another label: letters, digits, `.`, `_` and `-`, beginning with a letter.',
  },
  API_INTERRUPTED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The work was ended by a signal or because the client went away; what was committed stays.',
    remedy: 'Run it again: it goes on where it ended.',
  },
  API_DEFECT: {
    kind: 'failed',
    retry: 'never',
    summary: 'Something happened that our code does not expect: a defect of Understudy.',
    remedy: 'Report it with the log around it. Committed data is not affected.',
  },
});
