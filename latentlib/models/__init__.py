"""Plain ``nn.Module`` networks, each file read in one sitting."""
