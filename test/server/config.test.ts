import t from 'tap';
import { namesOf, parseListen } from '../../server/config.ts';
import { Html, html } from '../../server/http/html.ts';

t.test('addresses', async (t) => {
  t.same(parseListen('127.0.0.1:8080'), { host: '127.0.0.1', port: 8080 });
  t.same(parseListen('[::1]:0'), { host: '::1', port: 0 });
  t.same(parseListen('http://localhost'), { host: 'localhost', port: 80 });
  for (const bad of ['https://x', 'x:y', '127.0.0.1:99999', 'host/path', 'a@b:1', ''])
    t.throws(() => parseListen(bad), { code: 'E_USAGE' }, bad);
});

t.test('names under which requests are taken', async (t) => {
  const local = namesOf({ host: '127.0.0.1', port: 8080 }, []);
  for (const name of ['127.0.0.1:8080', 'localhost:8080', '[::1]:8080'])
    t.ok(local.has(name), name);
  const open = namesOf({ host: '0.0.0.0', port: 8080 }, ['Drivers.Example', 'x.example:80']);
  t.same([...open], ['0.0.0.0:8080', 'drivers.example', 'x.example']);
});

t.test('what is put into a page is text', async (t) => {
  const hostile = `<script>"'&\`</script>`;
  const page = html`<a href="${hostile}">${hostile}</a>${[html`<b>${1}</b>`, new Html('<i>')]}`;
  t.notMatch(page.text, /<script/);
  t.equal(page.text.match(/"/g)?.length, 2, 'attributes stay closed');
  t.match(page.text, /<b>1<\/b><i>$/);
});
