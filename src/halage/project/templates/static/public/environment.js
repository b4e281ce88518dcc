// The same files are served in each environment, which only the host name tells: dev.PROJECT.DOMAIN.
const first = location.hostname.split('.')[0];
const environment = ['dev', 'preprod'].includes(first) ? first : 'prod';
document.body.dataset.environment = environment;
document.querySelector('[data-show=environment]').textContent = environment;
for (const step of document.querySelectorAll('.way li')) {
  if (step.textContent === environment) step.setAttribute('aria-current', 'step');
}
