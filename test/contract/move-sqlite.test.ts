import { sqlitePlace } from '../harness/places.ts';
import { moveSuite } from './move.ts';

moveSuite('from SQLite to SQLite', sqlitePlace, sqlitePlace);
