/** `<dataDir>/reports/<plan>.json` and `.html`: mode 0600, for they name people and their mail. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TakeOverReport } from './report.ts';
import { reportPage } from './report-page.ts';

/** Replaces what an earlier call wrote. */
export async function writeReport(
  dataDir: string,
  report: TakeOverReport,
): Promise<{ json: string; html: string }> {
  const folder = join(dataDir, 'reports');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = { json: join(folder, `${report.plan}.json`), html: join(folder, `${report.plan}.html`) };
  const whole = { ...report, files };
  await replace(files.json, `${JSON.stringify(whole, null, 2)}\n`);
  await replace(files.html, reportPage(whole));
  return files;
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
