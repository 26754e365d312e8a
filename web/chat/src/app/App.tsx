// The frame of the page: who is signed in decides between the two halves.
import { Provider } from 'urql';
import { client } from '../api/client.ts';

export function App() {
  return <Provider value={client}>{null}</Provider>;
}
