package mqtt

func (s *session) publishDiscovery() {}
