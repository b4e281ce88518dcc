const stages = ['push', 'tests', 'dev', 'preprod', 'approval', 'prod'];
const signs = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

const escape = (text) => String(text).replace(/[&<>"]/g, (sign) => signs[sign]);
const short = (commit) => (/^[0-9a-f]{40}$/.test(commit) ? commit.slice(0, 7) : commit);
const capitalized = (name) => name.charAt(0).toUpperCase() + name.slice(1);

const card = ({ name, to, inMinutes }) => `
    <li class="card">
      <span class="sign" aria-hidden="true">⛴</span>
      <h2>${escape(name)}</h2>
      <p>To ${escape(to)}</p>
      <strong>in ${inMinutes} min</strong>
    </li>`;

const step = (stage, current) => `<li${stage === current ? ' aria-current="step"' : ''}>${stage}</li>`;

/** The home page with these boats, as it is in the environment that the variables tell of. */
export function page(boats, variables) {
  const name = escape(capitalized(variables.HALAGE_PROJECT || 'timetable'));
  const environment = variables.HALAGE_ENVIRONMENT || 'local';
  const release = variables.HALAGE_RELEASE ? `v${escape(variables.HALAGE_RELEASE)} · ` : '';
  const commit = escape(short(variables.HALAGE_COMMIT || 'working copy'));
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${name}</title>
  <link rel="icon" href="/favicon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/app.css">
</head>
<body data-environment="${escape(environment)}">
<header>
  <a class="name" href="/">${name}</a>
  <span class="badge">${escape(environment)}</span>
</header>
<main>
  <h1>The next boat leaves soon.</h1>
  <p class="lead">Three lines on slow water. Change this page, push it, and it is under way before the next boat.</p>
  <ul class="cards">${boats.map(card).join('')}
  </ul>
</main>
<footer>
  <ol class="way" aria-label="The way of a change">${stages.map((stage) => step(stage, environment)).join('')}</ol>
  <span>${release}commit <code>${commit}</code></span>
</footer>
</body>
</html>
`;
}
