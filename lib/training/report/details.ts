/** The tables at the end of the page: settings, and what the run was computed on. */
import type { Config } from '../../config/schema.js';
import type { Session } from '../environment.js';
import { type Html, html } from './html.js';
import { listSettings, type Setting } from './settings.js';

/** Settings off their defaults first; all of them folded away. */
export function settingsSection(config: Config): Html {
  const settings = listSettings(config);
  const changed = settings.filter((setting) => setting.changed);
  const groups = [...new Set(settings.map(({ group }) => group))];
  return html`<h2>Settings</h2>
${changed.length === 0 ? html`<p class="soft">All as by default.</p>` : settingsTable(changed)}
<details><summary>All settings</summary>
${groups.map((group) => html`<h3>${group}</h3>${settingsTable(settings.filter((setting) => setting.group === group))}`)}
</details>`;
}

const settingsTable = (settings: readonly Setting[]): Html => html`<div class="scroll"><table>
<thead><tr><th>Setting</th><th>Value</th><th>Default</th><th></th></tr></thead>
<tbody>${settings.map(
  ({ key, value, default: usual, description, changed }) =>
    html`<tr class="${changed ? 'changed' : 'usual'}"><td>${key}</td><td>${value}</td><td class="text">${usual}</td><td class="text">${description}</td></tr>\n`,
)}</tbody>
</table></div>`;

/** The latest session; those before it folded away. */
export function environmentSection(sessions: readonly Session[]): Html | undefined {
  const last = sessions.at(-1);
  if (last === undefined) return undefined;
  const earlier = sessions.slice(0, -1).reverse();
  return html`<h2>Environment</h2>
${sessionTable(last)}
${
  earlier.length === 0
    ? undefined
    : html`<details><summary>Earlier sessions: ${earlier.length}</summary>${earlier.map((session) => html`<h3>From step ${session.step}</h3>${sessionTable(session)}`)}</details>`
}`;
}

function sessionTable({ cpu, libtorch, data, ...session }: Session): Html {
  const rows: [string, string][] = [
    ['Began', `${session.startedAt}, at step ${session.step}`],
    ['san-native', session.sanNative],
    ['LibTorch', `${libtorch.version}, ${libtorch.cpuCapability}, threads: ${libtorch.threads}`],
    ['CUDA', libtorch.cuda ? 'yes' : 'no'],
    ['Processor', `${cpu.model} × ${cpu.count}`],
    ['Memory', `${(session.totalMemory / 2 ** 30).toFixed(1)} GiB`],
    ['System', `${session.platform} ${session.release}, ${session.arch}`],
    ['Node.js', session.node],
    ['Data', `${data.path}, images: ${data.images}`],
    ['Data hash', data.hash],
    ['Command', session.commandLine.join(' ')],
  ];
  return html`<div class="scroll"><table><tbody>${rows.map(([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>\n`)}</tbody></table></div>`;
}
