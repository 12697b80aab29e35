"""Many devices with one bundle, each with its own recording, and with the bits that it would have alone.

``fleet`` pushes samples into all of them at once; ``run`` gives each a stream of recordings and sums up; shards of
devices go to this process, to more of them or to Ray, and their results to files that survive a kill.
"""
