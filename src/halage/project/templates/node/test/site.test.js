import assert from 'node:assert/strict';
import test from 'node:test';
import { createSite } from '../server.js';

const variables = { HALAGE_PROJECT: 'ferry', HALAGE_ENVIRONMENT: 'preprod', HALAGE_RELEASE: '7', HALAGE_COMMIT: '0123456789'.repeat(4) };

async function ask(path, options, environment = variables) {
  const server = createSite(environment);
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, options);
    return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('the home page shows the boats', async () => {
  const { status, body } = await ask('/');
  assert.equal(status, 200);
  assert.equal(body.match(/class="card"/g).length, 3);
});

test('it shows which commit runs where', async () => {
  const { body } = await ask('/');
  assert.match(body, /v7 · commit <code>0123456<\/code>/);
  assert.match(body, /<li aria-current="step">preprod<\/li>/);
  assert.match(body, /<title>Ferry<\/title>/);
});

test('names are escaped', async () => {
  const { body } = await ask('/', {}, { HALAGE_ENVIRONMENT: '<script>' });
  assert.doesNotMatch(body, /<script>/);
});

test('it is well', async () => {
  assert.deepEqual(await ask('/health'), { status: 200, type: 'text/plain', body: 'well\n' });
});

test('files of public/ are served, and no others', async () => {
  assert.equal((await ask('/app.css')).type, 'text/css; charset=utf-8');
  for (const path of ['/nowhere', '/..%2fserver.js', '/%2e%2e/server.js', '/']) {
    const expected = path === '/' ? 200 : 404;
    assert.equal((await ask(path)).status, expected, path);
  }
});

test('a post is refused', async () => {
  assert.equal((await ask('/', { method: 'POST' })).status, 405);
});
