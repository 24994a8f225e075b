import t from 'tap'
import { readConfig } from '../src/config.ts'

const read = (REDIS_URL: string): unknown => readConfig({ REDIS_URL }).REDIS_URL
const local = { host: 'localhost', port: 6379 }

t.test('each form of REDIS_URL says where Redis is', async t => {
  t.same(read('redis://localhost'), { form: 'single', tls: false, nodes: [local] })
  t.same(read('rediss://:secret@localhost:7000/3'), { form: 'single', tls: true, nodes: [{ host: 'localhost', port: 7000 }], password: 'secret', database: 3 })
  t.same(read('redis://ada:p%40ss%3A%2F%25@[::1]:7000'), { form: 'single', tls: false, nodes: [{ host: '::1', port: 7000 }], username: 'ada', password: 'p@ss:/%' })
  t.same(read('redis://ada:one:two@localhost/0'), { form: 'single', tls: false, nodes: [local], username: 'ada', password: 'one:two', database: 0 })
  t.same(read('redis+sentinel://ada:secret@h1,h2:26380/my%20primary'), {
    form: 'sentinel', tls: false, nodes: [{ host: 'h1', port: 26_379 }, { host: 'h2', port: 26_380 }], username: 'ada', password: 'secret', primary: 'my primary'
  })
  t.same(read('rediss+cluster://h1:7000,h2:7001,h3'), { form: 'cluster', tls: true, nodes: [{ host: 'h1', port: 7000 }, { host: 'h2', port: 7001 }, { host: 'h3', port: 6379 }] })
  t.same(read('unix:///run/redis.sock'), { socketPath: '/run/redis.sock' })
  t.same(read('unix:/run/redis.sock'), { socketPath: '/run/redis.sock' })
})

t.test('what is none of them is refused', async t => {
  for (const wrong of [
    'localhost', 'redis:', 'redis://', 'http://localhost', 'redis://h1,h2', 'redis://localhost:99999', 'redis://localhost:port', 'redis://localhost/name', 'redis://localhost?family=6', 'redis://a%zz@localhost',
    'redis+sentinel://h1', 'redis+sentinel://h1/', 'redis+sentinel://h1,/mymaster', 'redis+cluster://h1/0', 'redis+ring://h1', 'unix://', 'unix:redis.sock'
  ]) t.throws(() => read(wrong), { name: 'ConfigError', message: /^REDIS_URL must be redis:/ }, wrong)
})
