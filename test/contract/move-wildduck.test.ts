import { without } from '../harness/peers.ts';
import { sqlitePlace, wildduckPlace } from '../harness/places.ts';
import { moveSuite } from './move.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');
moveSuite('from SQLite to WildDuck', sqlitePlace, wildduckPlace, skip);
moveSuite('from WildDuck to SQLite', wildduckPlace, sqlitePlace, skip);
