/** `understudy openapi`: the description of the HTTP interface, without a service. */
import { openApiDocument } from '../../api/index.ts';
import { emptyConfig } from '../../config/index.ts';
import { silentLog } from '../../lib/index.ts';
import { exitCodes } from '../exit-codes.ts';
import type { OwnCommand } from './index.ts';

export const openapi: OwnCommand = {
  name: 'openapi',
  declare(command, run) {
    command.description('Print the OpenAPI 3.1 description of the HTTP interface.').action(() =>
      run(async ({ adapters, io }) => {
        const document = await openApiDocument({ config: emptyConfig(), adapters, log: silentLog });
        io.out(`${JSON.stringify(document, null, 2)}\n`);
        return exitCodes.done;
      }),
    );
  },
};
