import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { boats } from './boats.js';
import { page } from './page.js';

const publicFolder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'public');
const types = { '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8' };

/** The server, not listening yet. */
export function createSite(environment = process.env) {
  return createServer(async (request, response) => {
    try {
      await answer(request, response, environment);
    } catch (error) {
      console.error(error);
      if (!response.headersSent) send(response, 500, 'text/plain', 'Something went wrong\n');
    }
  });
}

async function answer(request, response, environment) {
  if (!['GET', 'HEAD'].includes(request.method)) return send(response, 405, 'text/plain', 'Only GET and HEAD\n');
  const { pathname } = new URL(request.url, 'http://localhost');
  if (pathname === '/') return send(response, 200, 'text/html; charset=utf-8', page(boats(new Date()), environment));
  if (pathname === '/health') return send(response, 200, 'text/plain', 'well\n');
  return sendFile(response, path.join(publicFolder, path.normalize(decodeURIComponent(pathname))));
}

async function sendFile(response, file) {
  const found = file.startsWith(publicFolder + path.sep) && (await stat(file).catch(() => null));
  if (!found || !found.isFile()) return send(response, 404, 'text/plain', 'There is nothing here\n');
  response.writeHead(200, {
    'Content-Type': types[path.extname(file)] ?? 'application/octet-stream',
    'Content-Length': found.size,
  });
  createReadStream(file).pipe(response);
}

function send(response, status, type, body) {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = createSite();
  const { HOST = '127.0.0.1', PORT = '3000' } = process.env;
  server.listen(Number(PORT), HOST, () => console.log(`listening on http://${HOST}:${PORT}`));
  // Ends when the requests under way have ended.
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
