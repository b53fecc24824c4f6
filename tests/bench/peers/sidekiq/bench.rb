# frozen_string_literal: true

# ruby bench.rb REDIS_URL TASKS: Sidekiq's time for that many trivial tasks, from the first push until the last is done.
#
# As its wiki has it best: perform_bulk, 1,000 jobs in each push (Bulk-Queueing); one process a core, few threads in each,
# which is the default of later versions (Advanced-Options); the client hiredis, which its own bin/sidekiqload offers.
# Nothing is retried, and no results are kept, since Sidekiq keeps none.

require 'json'
require 'tmpdir'

PROCESSES = 2
THREADS = 5
LIMIT_SECONDS = 100

url, count = ARGV
tasks = Integer(count)
ENV['PEER_URL'] = url
clock = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }

Dir.mktmpdir do |directory|
  ENV['PEERS_TALLY'] = path = File.join(directory, 'tally')
  File.mkfifo(path)
  pipe = File.open(path, 'r+b')
  require_relative 'job'

  workers = Array.new(PROCESSES) do
    spawn('sidekiq', '--require', File.join(__dir__, 'job.rb'), '--concurrency', THREADS.to_s, '--timeout', '1',
          out: :err, chdir: directory)
  end
  done = []
  ready = Queue.new
  reader = Thread.new do
    while done.size < tasks
      # Seldom, so that reading takes no time from the workers.
      sleep 0.002
      pipe.readpartial(65_536).unpack('V*').each { |index| index == READY ? ready.push(index) : done.push(index) }
    end
    clock.call
  end
  PROCESSES.times { ready.pop }

  begun = clock.call
  Prime.perform_bulk((0...tasks).zip, batch_size: 1000)
  reader.join(LIMIT_SECONDS) or abort 'tasks stay undone'
  seconds = reader.value - begun

  workers.each { |worker| Process.kill(:KILL, worker) }
  workers.each { |worker| Process.wait(worker) }
  abort 'not every task was done once' unless done.sort == (0...tasks).to_a
  puts JSON.generate(seconds: seconds, tasks: tasks)
end
