/** The one place that maps an error to an HTTP status. */
import type { ErrorKind, SerializedError } from '../lib/index.ts';

const byKind: Readonly<Record<ErrorKind, number>> = {
  usage: 400,
  refused: 409,
  failed: 500,
  partial: 500,
  differs: 409,
};

const byCode: Readonly<Record<string, number>> = {
  API_UNAUTHORIZED: 401,
  API_NOT_FOUND: 404,
  API_BODY_TOO_LARGE: 413,
  API_VAULT_UNAVAILABLE: 503,
};

export function httpStatusOf(error: Pick<SerializedError, 'code' | 'kind'>): number {
  return byCode[error.code] ?? byKind[error.kind];
}
