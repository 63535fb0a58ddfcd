export { decodeSummary, decodeWords } from './decode.ts';
export {
  type ExportFormatName,
  type ExportRequest,
  type ExportResult,
  exportAccount,
} from './export/export-account.ts';
export {
  type HistoryPoint,
  type HistoryQuery,
  type HistoryResult,
  history,
  type MailboxSummary,
  type SearchHit,
} from './history.ts';
export { SearchIndex } from './search-index.ts';
export { searchQuery } from './search-query.ts';
