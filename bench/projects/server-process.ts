// Serves a folder of bare repositories over HTTP in a separate process, so that what is measured shares no event loop
// with it.
import { startGitHttpServer } from '../../test/git/http-server.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: server-process.ts FOLDER');
const { url } = await startGitHttpServer(folder, null);
process.send?.({ url });
