export { openApiDocument, type RunningHttp, startHttp } from './server.ts';
