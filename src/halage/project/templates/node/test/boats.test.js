import assert from 'node:assert/strict';
import test from 'node:test';
import { boats } from '../boats.js';

test('the next boat of each line comes soonest first', () => {
  const next = boats(new Date('2026-01-05T00:30:00Z'));
  assert.deepEqual(next.map(({ inMinutes }) => inMinutes), [5, 10, 20]);
  assert.equal(next[0].name, 'Péniche bleue');
});

test('a boat that leaves now is followed by the next one', () => {
  const next = boats(new Date('2026-01-05T00:00:00Z'));
  assert.deepEqual(next.map(({ inMinutes }) => inMinutes), [20, 35, 50]);
});
