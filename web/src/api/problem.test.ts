import { describe, expect, it } from 'vitest';
import { ApiProblem, findFieldProblem, withoutChanged } from './problem.ts';

const refusal = (...fields: string[]): ApiProblem =>
  new ApiProblem({
    status: 400,
    code: 'bad_request',
    detail: 'Not valid.',
    fields: fields.map((field) => ({ field, problem: 'is wrong' })),
  });
const sent = { name: 'a', tags: ['x', 'y'], task: { prompt: 'p', pool: 'q' } };

describe('the problems of a form', () => {
  it('stay while their fields are unchanged', () => {
    const error = refusal('name', 'tags.1', 'task.prompt', 'unknown');
    expect(withoutChanged(error, sent, structuredClone(sent))).toBe(error);
  });

  it('disappear field by field when a field changes, also a nested one', () => {
    const now = { name: 'b', tags: ['z', 'y'], task: { prompt: 'other', pool: 'q' } };
    const left = withoutChanged(refusal('name', 'tags.1', 'task.prompt', 'task.pool'), sent, now);
    const problems = ['name', 'tags', 'task.prompt', 'task.pool'].map((field) =>
      findFieldProblem(left, field),
    );
    expect(problems).toEqual([null, 'Is wrong', null, 'Is wrong']);
  });

  it('disappear completely with the last one', () => {
    expect(withoutChanged(refusal('name'), sent, { ...sent, name: 'b' })).toBeNull();
  });

  it('disappear with any change when the refusal names no field, and stay when the server did not answer', () => {
    const now = { ...sent, name: 'b' };
    expect(withoutChanged(refusal(), sent, now)).toBeNull();
    const away = new ApiProblem({ status: 503, code: 'engine_unavailable', detail: 'Away.' });
    expect(withoutChanged(away, sent, now)).toBe(away);
  });
});
