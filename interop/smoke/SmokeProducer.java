import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

/** Sends messages with the Java client; one line for each, exit status 1 if any was not stored. */
public class SmokeProducer {
    public static void main(String[] args) throws Exception {
        String nameServer = args[0];
        String topic = args[1];
        int count = Integer.parseInt(args[2]);
        DefaultMQProducer producer = new DefaultMQProducer("smoke-java");
        producer.setNamesrvAddr(nameServer);
        producer.start();
        boolean allStored = true;
        for (int n = 0; n < count; n++) {
            byte[] body = ("message " + n).getBytes(StandardCharsets.UTF_8);
            SendResult result = producer.send(new Message(topic, "smoke", "key-" + n, body));
            allStored &= result.getSendStatus() == SendStatus.SEND_OK;
            System.out.println("SENT " + result.getSendStatus() + " "
                + result.getMessageQueue().getBrokerName() + " "
                + result.getMessageQueue().getQueueId() + " " + result.getQueueOffset() + " "
                + result.getMsgId());
        }
        producer.shutdown();
        System.exit(allStored ? 0 : 1);
    }
}
