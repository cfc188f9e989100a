// Shared by the JavaScript client scripts; see check.py.

export const BASE_URL = process.env.BASE_URL.replace(/\/+$/, '');
export const MODEL = process.env.MODEL ?? 'cub';
export const API_KEY = process.env.API_KEY ?? 'none';
export const QUESTION = 'What is a daemon?';
export const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 }, days: { type: 'integer', minimum: 0, maximum: 14 } },
  required: ['city', 'days'],
  additionalProperties: false,
};
export const ENDLESS = { 7: -100 };
export const LONG_LIST = {
  type: 'object',
  properties: { numbers: { type: 'array', items: { type: 'integer' }, minItems: 1500 } },
  required: ['numbers'],
};

export function assert(holds, seen) {
  if (!holds) throw new Error(`unexpected: ${JSON.stringify(seen)?.slice(0, 300)}`);
}

export async function expectIdle(ms = 2000) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await fetch(`${BASE_URL}/slots`, { headers: { authorization: `Bearer ${API_KEY}` } });
    const n = (await answer.json()).filter((slot) => slot.is_processing).length;
    if (n === 0) return;
    if (Date.now() > end) throw new Error(`${n} slots still run ${ms} ms after the client went away`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function main(checks) {
  const wanted = process.argv.slice(2);
  let failed = 0;
  for (const [name, run] of Object.entries(checks)) {
    if (wanted.length && !wanted.includes(name)) continue;
    try {
      const reason = await run();
      console.log(reason ? `skip ${name}: ${reason}` : `ok ${name}`);
    } catch (error) {
      failed += 1;
      console.log(
        `FAIL ${name}: ${String(error?.stack && process.env.DIALECTS_TRACE ? error.stack : error)
          .replace(/\s+/g, ' ')
          .slice(0, 300)}`,
      );
    }
  }
  process.exit(failed ? 1 : 0);
}
